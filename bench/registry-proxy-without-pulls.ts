/** registry-proxy as it is, except that it counts no pulls: the baseline for the cost of counting. */
import { registerHooks } from 'node:module'

const NO_PULLS = `data:text/javascript,export const observePulls = () => {}; export const markPull = observePulls; export const countDecision = observePulls`

registerHooks({
  resolve: (specifier, context, next) =>
    specifier.endsWith('/observe-pulls.ts')
      ? { url: NO_PULLS, shortCircuit: true }
      : next(specifier, context),
})

await import('../services/registry-proxy/src/main.ts')
