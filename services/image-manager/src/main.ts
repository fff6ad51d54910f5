import { connectPostgres } from '@registry-manager/database'
import { runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createImageManager } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // Other services' settings may be in a shared environment: only near misses of this one's are mistakes.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, { databaseUrl, ...listen }] = readConfig(process.env)
  const db = connectPostgres(databaseUrl)
  const service = await createImageManager(config, { db })
  service.internalApp.addHook('onClose', async () => db.destroy())
  return [service, listen]
})
