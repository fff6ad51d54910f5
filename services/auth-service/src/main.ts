import { connectPostgres } from '@registry-manager/database'
import { ConfigError, runService, warnOfUnknownSettings } from '@registry-manager/http'
import { createAccounts } from './accounts/index.ts'
import { loadSigningKeys } from './access-tokens/signing-keys.ts'
import { createAuthService } from './app.ts'
import { readConfig, schema } from './config.ts'

await runService(async () => {
  // A shared environment may have other services' settings, so only misspellings of this service's are reported.
  warnOfUnknownSettings(schema, process.env, [])
  const [config, { databaseUrl, signingKeysDir, ...listen }] = readConfig(process.env)
  const db = connectPostgres(databaseUrl)
  const keys = await loadSigningKeys(signingKeysDir)
  const { username, password } = config.administrator
  const first = await createAccounts(db).ensureFirstAdministrator(username, () => password)
  if (first.outcome === 'impossible') throw new ConfigError([first.reason])
  const service = await createAuthService(config, { db, keys })
  if (first.outcome === 'exists' && password !== undefined) {
    service.publicApp.log.info('ADMIN_PASSWORD is ignored: there is a cluster administrator')
  }
  service.internalApp.addHook('onClose', async () => db.destroy())
  return [service, listen]
})
