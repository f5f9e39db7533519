/** The keys `admin` and `releases` of a config: who may ask what of the admin API, who may sign, and how a canary goes on. */
import type { SecretSource } from "./config.ts";
import type { Duration, Share } from "./units.ts";

/** The listener of the admin API, metrics, `/health` and `/ready`. */
export interface AdminOptions {
  /** `"127.0.0.1"` by default. Any address but a loopback one needs `tls`. */
  readonly host?: string;
  /** 9901 by default; 0 takes a free one. */
  readonly port?: number;
  /** Left out: plain HTTP. */
  readonly tls?: AdminTlsOptions;
  /** Beside the one in `stateDir` (or `SLUICE_ADMIN_TOKEN`), which may do everything. None by default. */
  readonly tokens?: readonly AdminTokenOptions[];
}

/** Certificates of the admin API, as files in PEM. They are read again at each reload (SIGHUP). */
export interface AdminTlsOptions {
  /** The certificate, and those between it and its authority. Its DNS names are good as `Host`. */
  readonly cert: string;
  /** Its private key, without a passphrase. */
  readonly key: string;
  /** Who signs the certificates of clients: each must then show one, beside its token (mutual TLS). Left out: none is asked for. */
  readonly clientCa?: string;
}

/** A bearer token of the admin API with roles of its own. */
export interface AdminTokenOptions {
  /** Who it is, for the audit log. */
  readonly name: string;
  /**
   * `"read"`: look; `"upload"`: hand in releases; `"activate"`: change what is served, purge; `"recordings"`: read and purge recorded requests, for
   * `sluice plan --replay`; `"admin"`: everything.
   */
  readonly roles: readonly ("read" | "upload" | "activate" | "recordings" | "admin")[];
  /** At least 16 visible ASCII characters. */
  readonly token: SecretSource;
}

/** An Ed25519 public key in PEM, from a file or written out: exactly one of `file` and `publicKey`. */
export interface ReleaseKeyOptions {
  readonly file?: string;
  readonly publicKey?: string;
  /** From this day (`"2027-01-31"`) on its signatures count for nothing. Left out: for ever. */
  readonly notAfter?: string;
}

/** Which releases this gateway takes, and how many the store keeps. */
export interface ReleasesOptions {
  /** Refuse releases that none of `keys` has signed. `false` by default. */
  readonly requireSigned?: boolean;
  /**
   * Who may sign. None by default. A pair of keys: `openssl genpkey -algorithm ed25519 -out release.key` (with who deploys: `sluice deploy --sign-key
   * release.key`) and `openssl pkey -in release.key -pubout -out release.pub` (named here, on every gateway). For a rotation name the new key beside the old
   * one, which gets a `notAfter`; what it has signed is refused from then on, also by a rollback, so deploy once with the new one before.
   */
  readonly keys?: readonly ReleaseKeyOptions[];
  /** How many releases stay in the store for `sluice rollback`. 100 by default. */
  readonly keep?: number;
  /** How `sluice deploy --canary` goes on from here. */
  readonly canary?: CanaryOptions;
}

/**
 * A canary serves a share of the clients, is compared with what serves the others, and takes a larger share or is taken back by itself. Clients are
 * counted, one of each address (IPv6: of each /48), so that nobody can end a canary alone; what a client causes itself (4xx, leaving) never counts. Proxies in
 * front have to stand in `trustedProxies`: everybody behind another one is one client.
 */
export interface CanaryOptions {
  /** Shares of the clients that grow. `["5%", "25%", "100%"]` by default; without `"100%"` at the end it waits there for `sluice promote`. */
  readonly steps?: readonly Share[];
  /** A step lasts at least this long. `"5m"` by default. */
  readonly stepDuration?: Duration;
  /** … and until so many clients were seen on the canary and as many on what serves. 500 by default. */
  readonly minimumSample?: number;
  /** What it may be worse by before it is taken back; `false`: not looked at. */
  readonly limits?: {
    /** Clients that met a failing rule: one in 400 more by default (`"0.25%"`). */
    readonly exceptions?: Share | false;
    /** … a time-out, of a rule or an upstream. `"0.25%"` by default. */
    readonly timeouts?: Share | false;
    /** … a 5xx. `"0.25%"` by default. */
    readonly errors?: Share | false;
    /** 95th percentile of the time until the answer begins, relative, and at least 5 ms. `"25%"` by default. */
    readonly latencyP95?: Share | false;
    /** CPU of each rule that both releases have, relative, and at least 0.5 ms. `"50%"` by default. */
    readonly cpu?: Share | false;
  };
}
