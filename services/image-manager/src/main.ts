import { connectPostgres } from '@registry-manager/database'
import { runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createImageManager } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // The environment may hold other services' settings, so only misspellings of this service's names are reported.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, { databaseUrl, ...listen }] = readConfig(process.env)
  const db = connectPostgres(databaseUrl)
  const service = await createImageManager(config, { db })
  service.internalApp.addHook('onClose', async () => db.destroy())
  return [service, listen]
})
