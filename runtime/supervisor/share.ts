/** Every number in config is per gateway; this gives each worker its part. */
import type { ResolvedConfig, UpstreamConfig } from "../config/resolved.ts";

/** Rounded up, and never 0: with more workers than the number allows, the gateway may go above it by less than one each. */
export function shareOf(config: ResolvedConfig, workers: number): ResolvedConfig {
  const part = (whole: number) => (Number.isFinite(whole) && whole > 0 ? Math.max(1, Math.ceil(whole / workers)) : whole);
  const upstreams = Object.fromEntries(
    Object.entries(config.upstreams).map(([name, upstream]): [string, UpstreamConfig] => [
      name,
      { ...upstream, maxConnections: part(upstream.maxConnections) },
    ]),
  );
  const limits = {
    ...config.limits,
    connections: part(config.limits.connections),
    connectionsPerClient: part(config.limits.connectionsPerClient),
    ruleRecallBytes: part(config.limits.ruleRecallBytes),
  };
  const cache = config.cache === null ? null : { ...config.cache, memoryBytes: part(config.cache.memoryBytes) };
  return { ...config, upstreams, limits, cache };
}
