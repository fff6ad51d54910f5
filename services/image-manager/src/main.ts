import { connectPostgres } from '@registry-manager/database'
import { runService } from '@registry-manager/service-kit'
import { createImageManager } from './app.ts'
import { readConfig } from './config.ts'

await runService(async () => {
  const [config, { databaseUrl, ...listen }] = readConfig(process.env)
  const db = connectPostgres(databaseUrl)
  const service = await createImageManager(config, { db })
  service.internalApp.addHook('onClose', async () => db.destroy())
  return [service, listen]
})
