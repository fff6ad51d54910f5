import { runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createRegistryProxy } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // Other services' settings may be in a shared environment: only near misses of this one's are mistakes.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, listen] = readConfig(process.env)
  return [await createRegistryProxy(config), listen]
})
