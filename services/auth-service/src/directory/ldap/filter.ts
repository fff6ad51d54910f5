import { FilterParser } from 'ldapts'
import { escapeDnValue, parseSingleName } from '../distinguished-name.ts'

/** The place of the username in templates. */
export const PLACEHOLDER = '{username}'

/** Active Directory's matching rule for nested groups. Source: MS-ADTS §3.1.1.3.4.4.3. */
const IN_CHAIN = '1.2.840.113556.1.4.1941'
/** Special characters of filters. Source: RFC 4515 §3. */
const SPECIAL = /[\0()*\\]/g

/** Escapes a value for a search filter. Characters beyond ASCII stay as they are, in UTF-8. Source: RFC 4515 §3. */
export function escapeFilterValue(value: string): string {
  return value.replaceAll(SPECIAL, (character) => `\\${hexOf(character)}`)
}

/** The filter that finds a user. */
export function fillFilter(template: string, username: string): string {
  return template.replaceAll(PLACEHOLDER, () => escapeFilterValue(username))
}

/** The name with which a user binds: a distinguished name, or a user principal name. */
export function fillBindTemplate(template: string, username: string): string {
  return template.replaceAll(PLACEHOLDER, () => (isDnTemplate(template) ? escapeDnValue(username) : username))
}

/** Whether a template is a filter that contains the placeholder. */
export function isFilterTemplate(template: string): boolean {
  if (!template.includes(PLACEHOLDER) || !template.startsWith('(')) return false
  // The parser accepts a filter with an open parenthesis.
  if (template.split('(').length !== template.split(')').length) return false
  try {
    FilterParser.parseString(fillFilter(template, 'username'))
    return true
  } catch {
    return false
  }
}

export function isDnTemplate(template: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]*=/.test(template)
}

/** A filter that matches if one of the filters does. */
export function anyOf(filters: readonly string[]): string {
  return filters.length === 1 ? filters.join('') : `(|${filters.join('')})`
}

/**
 * Matches those of some groups that have a member, directly or through nested groups. Active Directory only. A group is
 * named by its distinguished name, or by the first part of it, such as `cn=developers`.
 */
export function groupsOfFilter(memberDn: string, groups: readonly string[]): string {
  const among = anyOf(groups.map(groupFilter))
  return `(&(objectClass=group)(member:${IN_CHAIN}:=${escapeFilterValue(memberDn)})${among})`
}

function groupFilter(name: string): string {
  const single = parseSingleName(name)
  if (single === undefined) return `(distinguishedName=${escapeFilterValue(name)})`
  return `(${single.type}=${escapeFilterValue(single.value)})`
}

function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0')
}
