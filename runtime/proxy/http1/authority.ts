/** Host and port as they may stand in Host or an absolute target (RFC 9110 section 7.2, RFC 3986 section 3.2). */

// Registered names in the wild are letters, digits, "-", "." and "_". The grammar would also let percent-escapes,
// sub-delimiters and an empty port pass; two parsers seldom agree on those, so they are refused. So are empty labels ("a..", no name of DNS): with one
// final "." taken off, the rest would be another host's rules.
const NAME_AND_PORT = /^((?!\.|[^:]*\.\.)[a-z0-9\-._~]{1,255}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/;
const UPPER = /[A-Z]/;

let lastGood = "";

/** The authority in lowercase, or null when it is malformed. */
export function parseAuthority(written: string): string | null {
  // Nearly all requests of a connection, and most of a gateway, repeat one name.
  if (written === lastGood && written !== "") return lastGood;
  const authority = UPPER.test(written) ? written.toLowerCase() : written;
  const parts = NAME_AND_PORT.exec(authority);
  if (parts === null) return null;
  if (parts[2] !== undefined && Number(parts[2]) > 65535) return null;
  const host = parts[1]!;
  if (host.startsWith("[") && !isIpv6(host.slice(1, -1))) return null;
  lastGood = authority;
  return authority;
}

const GROUP = /^[0-9a-f]{1,4}$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** RFC 4291 section 2.2: eight groups, one "::" for one or more of them, the last two possibly an IPv4 address. */
function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (let half = 0; half < halves.length; half++) {
    if (halves[half] === "") continue;
    const parts = halves[half]!.split(":");
    for (let i = 0; i < parts.length; i++) {
      const isLast = half === halves.length - 1 && i === parts.length - 1;
      if (GROUP.test(parts[i]!)) groups++;
      else if (isLast && IPV4.test(parts[i]!)) groups += 2;
      else return false;
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
}
