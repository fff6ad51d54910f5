export interface TokenNaming {
  /** `iss` of every token. */
  readonly issuer: string
  /** `aud` of every token, and the `service` of challenges. */
  readonly service: string
  /** Names that clients may send as `service`; includes `service` itself. */
  readonly aliases: readonly string[]
  /** URL of the token endpoint, for challenges. */
  readonly realm: string
  /** Origin of PUBLIC_URL (scheme, host and port), as browsers send it in `Origin`. Source: RFC 6454 §7.1. */
  readonly publicOrigin: string
}

/**
 * Derives issuer and audience of tokens from the public URL: both are its host[:port], unless TOKEN_SERVICE sets the
 * audience. Without TOKEN_SERVICE_ALIASES, clients may also send `token-service`, the host, or host:port.
 */
export function tokenNaming(publicUrl: string, service?: string, aliasList?: string): TokenNaming {
  const url = new URL(publicUrl)
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const name = service ?? url.host
  const realm = new URL('/auth/v2/token', publicUrl).href
  const aliases = aliasList?.split(',').map((alias) => alias.trim()) ?? [
    'token-service',
    url.host,
    url.hostname,
    `${url.hostname}:${port}`,
  ]
  return {
    issuer: url.host,
    service: name,
    aliases: [...new Set([name, ...aliases])],
    realm,
    publicOrigin: url.origin,
  }
}
