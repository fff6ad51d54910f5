import * as authService from '../../services/auth-service/src/config.ts'
import * as imageManager from '../../services/image-manager/src/config.ts'
import * as registryProxy from '../../services/registry-proxy/src/config.ts'
import { schema as embedded } from '../local/embedded-config.ts'
import { schema as stack } from '../local/stack/config.ts'
import type { SettingsSchema } from './table.ts'

/** How each service reads its settings, by the name that the service has everywhere. */
export const CONFIGS = {
  'auth-service': authService,
  'image-manager': imageManager,
  'registry-proxy': registryProxy,
}

export type ServiceName = keyof typeof CONFIGS

/** What each service may be set to, and must. */
export const SERVICES: Readonly<Record<ServiceName, SettingsSchema>> = {
  'auth-service': authService.schema,
  'image-manager': imageManager.schema,
  'registry-proxy': registryProxy.schema,
}

/** The same of whatever reads settings: the services, and what starts them. */
export const READERS: Readonly<Record<string, SettingsSchema>> = {
  ...SERVICES,
  '`npm start`': embedded,
  '`npm run stack`': stack,
}
