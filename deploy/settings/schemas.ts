import { schema as embedded } from '../local/embedded-config.ts'
import { schema as stack } from '../local/stack/config.ts'
import type { ServiceName } from '../local/stack/service-environment.ts'
import { CONFIGS } from '../local/stack/service-environment.ts'
import type { SettingsSchema } from './table.ts'

/** What each service may be set to, and must. */
export const SERVICES: Readonly<Record<ServiceName, SettingsSchema>> = {
  'auth-service': CONFIGS['auth-service'].schema,
  'image-manager': CONFIGS['image-manager'].schema,
  'registry-proxy': CONFIGS['registry-proxy'].schema,
}

/** The same of whatever reads settings: the services, and what starts them. */
export const READERS: Readonly<Record<string, SettingsSchema>> = {
  ...SERVICES,
  '`npm start`': embedded,
  '`npm run stack`': stack,
}

/** The names of all settings, whoever reads them. */
export function knownSettings(): readonly string[] {
  return [...new Set(Object.values(READERS).flatMap(({ properties }) => Object.keys(properties)))]
}
