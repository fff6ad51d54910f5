import { runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createRegistryProxy } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // A shared environment may contain settings of other services. Only misspelled settings of this one are mistakes.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, listen] = readConfig(process.env)
  return [await createRegistryProxy(config), listen]
})
