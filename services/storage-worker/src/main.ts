import { runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createStorageWorker } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // The environment may hold other services' settings, so only misspellings of this service's names are reported.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, listen] = readConfig(process.env)
  return [await createStorageWorker(config, { isAlone: true }), listen]
})
