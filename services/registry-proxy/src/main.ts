import { runService } from '@registry-manager/service-kit'
import { createRegistryProxy } from './app.ts'
import { readConfig } from './config.ts'

await runService(async () => {
  const [config, listen] = readConfig(process.env)
  return [await createRegistryProxy(config), listen]
})
