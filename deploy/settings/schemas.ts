import { schema as embedded } from '../local/embedded-config.ts'
import { schema as stack } from '../local/stack/config.ts'
import type { ServiceName } from '../local/stack/service-environment.ts'
import { CONFIGS } from '../local/stack/service-environment.ts'
import type { SettingsSchema } from './table.ts'

/** The settings schema of each service. */
export const SERVICES: Readonly<Record<ServiceName, SettingsSchema>> = {
  'auth-service': CONFIGS['auth-service'].schema,
  'image-manager': CONFIGS['image-manager'].schema,
  'registry-proxy': CONFIGS['registry-proxy'].schema,
}

/** The schemas of all readers of settings: services and launchers. */
export const READERS: Readonly<Record<string, SettingsSchema>> = {
  ...SERVICES,
  '`npm start`': embedded,
  '`npm run stack`': stack,
}

/** The names of all settings of all readers. */
export function knownSettings(): readonly string[] {
  return [...new Set(Object.values(READERS).flatMap(({ properties }) => Object.keys(properties)))]
}
