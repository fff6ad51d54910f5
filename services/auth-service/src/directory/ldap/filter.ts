import { escapeDnValue } from '../distinguished-name.ts'

/** Stands in templates where the username goes. */
export const PLACEHOLDER = '{username}'

/** Active Directory's rule that follows groups within groups. Source: MS-ADTS §3.1.1.3.4.4.3. */
const IN_CHAIN = '1.2.840.113556.1.4.1941'
/** Characters that mean something in a filter. Source: RFC 4515 §3. */
const SPECIAL = /[\0()*\\]/g

/** Escapes a value for a search filter. What is beyond ASCII goes as it is, in UTF-8. Source: RFC 4515 §3. */
export function escapeFilterValue(value: string): string {
  return value.replaceAll(SPECIAL, (character) => `\\${hexOf(character)}`)
}

/** The filter that finds a user. */
export function fillFilter(template: string, username: string): string {
  return template.replaceAll(PLACEHOLDER, () => escapeFilterValue(username))
}

/** The name that a user binds with: a distinguished name, or a user principal name. */
export function fillBindTemplate(template: string, username: string): string {
  return template.replaceAll(PLACEHOLDER, () => (isDnTemplate(template) ? escapeDnValue(username) : username))
}

export function isDnTemplate(template: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]*=/.test(template)
}

/** Either of some filters. */
export function anyOf(filters: readonly string[]): string {
  return filters.length === 1 ? filters.join('') : `(|${filters.join('')})`
}

/** The groups among these that somebody is in, by however many groups between. Active Directory only. */
export function groupsOfFilter(memberDn: string, groupDns: readonly string[]): string {
  const among = anyOf(groupDns.map((dn) => `(distinguishedName=${escapeFilterValue(dn)})`))
  return `(&(objectClass=group)(member:${IN_CHAIN}:=${escapeFilterValue(memberDn)})${among})`
}

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0')
}
