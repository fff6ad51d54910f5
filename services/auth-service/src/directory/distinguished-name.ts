/** Escapes a value for a distinguished name. Source: RFC 4514 §2.4. */
export function escapeDnValue(value: string): string {
  const escaped = value.replaceAll(/["+,;<>\\=]/g, String.raw`\$&`).replaceAll('\0', String.raw`\00`)
  const closed = value.length > 1 && value.endsWith(' ') ? String.raw`${escaped.slice(0, -1)}\ ` : escaped
  return /^[ #]/.test(value) ? `\\${closed}` : closed
}

/**
 * A distinguished name in the form in which names are compared: case, blanks around parts and the kind of escaping do
 * not matter. Undefined for an invalid name. Source: RFC 4514 §3; RFC 4518 §2.6.1 (blanks).
 */
export function normaliseDn(text: string): string | undefined {
  const names = splitUnescaped(text, ',;').map(normaliseRelativeName)
  return names.includes(undefined) ? undefined : names.join(',')
}

export function isSameDn(one: string, other: string): boolean {
  const normalised = normaliseDn(one)
  return normalised !== undefined && normalised === normaliseDn(other)
}

/** The first part of a normalised name, such as `cn=developers`. */
export function firstNameOf(dn: string): string {
  return splitUnescaped(dn, ',')[0] ?? dn
}

/** The type and the value of a normalised name that has one part only; undefined for others. */
export function parseSingleName(dn: string): { readonly type: string; readonly value: string } | undefined {
  const parts = splitUnescaped(dn, ',+')
  const [type, value] = dn.split(/=(.*)/s)
  if (parts.length !== 1 || type === undefined || value === undefined) return undefined
  return { type, value: plainValue(value) }
}

/** Whether a normalised name is the base or below it. */
export function isBeneath(name: string, base: string): boolean {
  return name === base || name.endsWith(`,${base}`)
}

function normaliseRelativeName(text: string): string | undefined {
  const pairs = splitUnescaped(text, '+').map((pair) => {
    const [, type, value] = /^\s*([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)\s*=(.*)$/s.exec(pair) ?? []
    return type === undefined || value === undefined ? undefined : `${type}=${plainValue(value)}`
  })
  if (pairs.some((pair) => pair === undefined || pair.endsWith('='))) return undefined
  return pairs
    .map((pair = '') => {
      const at = pair.indexOf('=')
      const value = pair
        .slice(at + 1)
        .normalize('NFC')
        .toLowerCase()
        .replaceAll(/ +/g, ' ')
      return `${pair.slice(0, at).toLowerCase()}=${escapeDnValue(value)}`
    })
    .toSorted()
    .join('+')
}

/** A value without escapes and without unescaped blanks around it. */
function plainValue(text: string): string {
  const [trimmed = ''] = /^(?:\\.|[^\\])*?(?= *$)/s.exec(text.replace(/^ +/, '')) ?? []
  return trimmed.replaceAll(/((?:\\[\dA-Fa-f]{2})+)|\\(.)/gs, (_match, hex?: string, character?: string) =>
    hex === undefined ? (character ?? '') : Buffer.from(hex.replaceAll('\\', ''), 'hex').toString(),
  )
}

function splitUnescaped(text: string, separators: string): string[] {
  const parts = ['']
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (separators.includes(character)) parts.push('')
    else parts[parts.length - 1] += character
    if (character === '\\') {
      at += 1
      parts[parts.length - 1] += text.charAt(at)
    }
  }
  return parts
}
