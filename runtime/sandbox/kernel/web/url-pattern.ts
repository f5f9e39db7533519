/**
 * URLPattern: that of `urlpattern-polyfill`. Its regular expressions run inside the isolate, where its CPU is the rule's own; the host's
 * URLPattern would backtrack in the process that all rules share.
 */
import { hardenAll } from "./host.ts";

type Pattern = typeof import("urlpattern-polyfill/urlpattern").URLPattern;

export function urlPattern(): Pattern {
  // A bundler's `require`: evaluated when something first asks for it. It finds URL in the context.
  const { URLPattern } = require("urlpattern-polyfill/urlpattern") as { readonly URLPattern: Pattern };
  hardenAll([URLPattern]);
  return URLPattern;
}
