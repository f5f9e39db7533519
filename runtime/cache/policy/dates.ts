/**
 * HTTP-date, all three formats that a recipient must accept (RFC 9110 section 5.6.7), compared without regard to case as
 * RFC 9111 section 4.2 asks of caches. Any zone but GMT is invalid there.
 */
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const IMF_FIXDATE = /^[a-z]{3}, (\d\d) ([a-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) gmt$/;
const RFC_850 = /^[a-z]{6,9}, (\d\d)-([a-z]{3})-(\d\d) (\d\d):(\d\d):(\d\d) gmt$/;
const ASCTIME = /^[a-z]{3} ([a-z]{3}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

/** Unix milliseconds, or NaN. `nowMs` settles the century of a two-digit year. */
export function parseHttpDate(text: string, nowMs: number): number {
  if (text.length > 40) return NaN;
  const lower = text.toLowerCase();
  let found = IMF_FIXDATE.exec(lower);
  if (found) return instant(Number(found[3]), found[2]!, found[1]!, found[4]!, found[5]!, found[6]!);
  found = ASCTIME.exec(lower);
  if (found) return instant(Number(found[6]), found[1]!, found[2]!, found[3]!, found[4]!, found[5]!);
  found = RFC_850.exec(lower);
  if (!found) return NaN;
  // A year that seems more than 50 years ahead is the most recent past one with these digits (RFC 9110 section 5.6.7).
  const thisYear = new Date(nowMs).getUTCFullYear();
  let year = thisYear - (thisYear % 100) + Number(found[3]);
  if (year > thisYear + 50) year -= 100;
  return instant(year, found[2]!, found[1]!, found[4]!, found[5]!, found[6]!);
}

export function httpDate(atMs: number): string {
  return new Date(atMs).toUTCString();
}

function instant(year: number, monthName: string, day: string, hours: string, minutes: string, seconds: string): number {
  const month = MONTHS.indexOf(monthName);
  const [d, h, m, s] = [Number(day), Number(hours), Number(minutes), Number(seconds)];
  if (month < 0 || h > 23 || m > 59 || s > 60) return NaN;
  const midnight = Date.UTC(year, month, d);
  // 31 February would roll over.
  if (new Date(midnight).getUTCDate() !== d) return NaN;
  return midnight + ((h * 60 + m) * 60 + s) * 1000;
}
