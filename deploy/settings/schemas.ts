import { schema as apply } from '../local/apply/command.ts'
import { schema as importing } from '../local/import/settings.ts'
import { schema as embedded } from '../local/embedded-config.ts'
import { schema as stack } from '../local/stack/config.ts'
import type { ServiceName } from '../local/stack/service-environment.ts'
import { CONFIGS } from '../local/stack/service-environment.ts'
import type { SettingsSchema } from './table.ts'

/** The settings schema of each service that has a public port. */
export const SERVICES: Readonly<Record<ServiceName, SettingsSchema>> = {
  'auth-service': CONFIGS['auth-service'].schema,
  'image-manager': CONFIGS['image-manager'].schema,
  'registry-proxy': CONFIGS['registry-proxy'].schema,
}

/** The schemas of all readers of settings: services and launchers. */
export const READERS: Readonly<Record<string, SettingsSchema>> = {
  ...SERVICES,
  'storage-worker': CONFIGS['storage-worker'].schema,
  '`npm start`': embedded,
  '`npm run stack`': stack,
  '`npm run apply`': apply,
  '`npm run import`': importing,
  '`npm run storage`': apply,
}

/** The names of all settings of all readers. */
export function knownSettings(): readonly string[] {
  return [...new Set(Object.values(READERS).flatMap(({ properties }) => Object.keys(properties)))]
}
