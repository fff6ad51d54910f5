import { ConfigError, readOrigins, settings } from '@registry-manager/http'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import { hasCertificates } from '../directory/config.ts'

/** The settings of trust rules. Like every setting, each can also be given as `NAME_FILE`. */
export const federationSettings = {
  FEDERATION_PRIVATE_ISSUERS: settings.origins(
    'comma-separated origins of token issuers that may have private addresses and may use http, such as ' +
      'https://kubernetes.default.svc.cluster.local; trust rules can name other issuers with public addresses only',
  ),
  FEDERATION_CA: Type.Optional(
    Type.String({
      description:
        'CA certificates of FEDERATION_PRIVATE_ISSUERS in PEM form, trusted in addition to the public CAs',
    }),
  ),
}

export interface FederationConfig {
  /** Origins of issuers that may have private addresses and may use http. */
  readonly privateOrigins: ReadonlySet<string>
  readonly ca: string | undefined
}

const schema = Type.Object(federationSettings)

/** Throws a ConfigError if FEDERATION_CA has no certificates. */
export function readFederation(values: Readonly<Static<typeof schema>>): FederationConfig {
  const { FEDERATION_PRIVATE_ISSUERS: origins, FEDERATION_CA: ca } = values
  if (ca !== undefined && !hasCertificates(ca)) {
    throw new ConfigError(['FEDERATION_CA_FILE contains no certificates in PEM form'])
  }
  return { privateOrigins: new Set(readOrigins(origins)), ca }
}
