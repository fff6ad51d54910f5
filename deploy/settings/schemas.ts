import { schema as authService } from '../../services/auth-service/src/config.ts'
import { schema as imageManager } from '../../services/image-manager/src/config.ts'
import { schema as registryProxy } from '../../services/registry-proxy/src/config.ts'
import { schema as embedded } from '../local/embedded-config.ts'
import type { SettingsSchema } from './table.ts'

/** What each service may be set to, and must; by the name that the service has everywhere. */
export const SERVICES = {
  'auth-service': authService,
  'image-manager': imageManager,
  'registry-proxy': registryProxy,
} satisfies Record<string, SettingsSchema>

/** The same of whatever reads settings: the services, and what starts them. */
export const READERS: Readonly<Record<string, SettingsSchema>> = { ...SERVICES, 'npm start': embedded }
