/** The header and the payload of a JSON Web Token. Nothing of it is verified. */
export interface UnverifiedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

/** The longest header with Basic credentials that nginx accepts has 16 KiB, in base64. */
const MAX_LENGTH = 12 * 1024
/** The signature is empty if the algorithm is `none`. Source: RFC 7515 §7.1; RFC 7518 §3.6. */
const SHAPE = /^([\w-]+)\.([\w-]+)\.[\w-]*$/

/**
 * Parses a JSON Web Token in compact form: three parts in base64url, of which the first two are JSON objects. Undefined
 * for any other string, and for a string of more than 12 KiB. Verifies nothing.
 */
export function parseJsonWebToken(text: string): UnverifiedToken | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const parts = SHAPE.exec(text)
  if (parts === null) return undefined
  const header = parseObject(parts[1])
  const payload = header && parseObject(parts[2])
  return header && payload && { header, payload }
}

function parseObject(part = ''): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
