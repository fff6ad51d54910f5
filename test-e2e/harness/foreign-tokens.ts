import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import type { System } from './system.ts'
import { basic } from './system.ts'

/** An issuer of tokens for a system, which no server publishes: trust rules have its keys. */
export function createForeignIssuer(system: System) {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'ES256', use: 'sig' }] }
  return {
    jwks,
    /** Signs a token for the system, which lives for five minutes. */
    sign: (claims: object): Promise<string> =>
      new SignJWT({ ...claims, aud: system.host })
        .setProtectedHeader({ alg: 'ES256', kid: 'test', typ: 'JWT' })
        .setIssuedAt()
        .setExpirationTime('300s')
        .sign(privateKey),
    /** Sends a trust rule with the keys of this issuer, as the administrator. Throws unless it is accepted. */
    async sendRule(method: 'POST' | 'PUT', path: string, rule: object): Promise<void> {
      const headers = { authorization: basic(system.admin), 'content-type': 'application/json' }
      const body = JSON.stringify({ ...rule, jwks })
      const response = await fetch(`${system.url}${path}`, { method, headers, body })
      if (!response.ok) throw new Error(`${method} ${path} gets ${response.status}: ${await response.text()}`)
    },
  }
}
