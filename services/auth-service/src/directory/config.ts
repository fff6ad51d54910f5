import { X509Certificate } from 'node:crypto'
import { ConfigError } from '@registry-manager/http'
import { FilterParser } from 'ldapts'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { DirectoryServer } from './ldap/socket.ts'
import { PLACEHOLDER, fillBindTemplate, fillFilter, isDnTemplate } from './ldap/filter.ts'
import { normaliseDn } from './distinguished-name.ts'
import type { GroupMap } from './group-map.ts'
import { parseGroupMap } from './group-map.ts'

const optional = (description: string) => Type.Optional(Type.String({ description }))
const flag = (description: string) => Type.Boolean({ default: false, description })

/** The settings of the directory, the same in every mode. Like every setting each may be a file's: `NAME_FILE`. */
export const directorySettings = {
  DIRECTORY_URL: Type.Optional(
    Type.String({
      pattern: String.raw`^ldaps?://[^/?#@,\s]+/?(,\s*ldaps?://[^/?#@,\s]+/?)*$`,
      description:
        'servers in the order in which they are asked, such as ldaps://dc1.example.com,ldaps://dc2.example.com',
    }),
  ),
  DIRECTORY_BASE_DN: optional('where people and mapped groups are, such as DC=example,DC=com'),
  DIRECTORY_BIND_DN: optional('the service account that finds people'),
  DIRECTORY_BIND_PASSWORD: optional('its password'),
  DIRECTORY_CA: optional('certificates that are trusted, PEM'),
  DIRECTORY_START_TLS: flag('whether ldap:// connections are upgraded to TLS'),
  DIRECTORY_ALLOW_PLAINTEXT: flag('whether passwords may travel readable, over ldap:// without TLS'),
  DIRECTORY_USER_FILTER: optional('what finds a user, such as (uid={username})'),
  DIRECTORY_BIND_TEMPLATE: optional('how users bind, such as {username}@example.com'),
  DIRECTORY_GROUP_MAP: optional('what groups give, JSON'),
  DIRECTORY_AUTO_CREATE: flag('whether whoever a mapped group has gets an account at their first sign-in'),
  DIRECTORY_REFRESH_SECONDS: Type.Integer({
    default: 300,
    minimum: 5,
    maximum: 86_400,
    description: 'within how long a change in the directory has its effect, 5 to 86400 seconds',
  }),
}

export interface DirectoryConfig {
  readonly servers: readonly DirectoryServer[]
  readonly startTls: boolean
  readonly ca: string | undefined
  readonly baseDn: string
  readonly service: { readonly dn: string; readonly password: string } | undefined
  readonly userFilter: string | undefined
  readonly bindTemplate: string | undefined
  readonly groups: GroupMap | undefined
  readonly autoCreate: boolean
  readonly refreshSeconds: number
}

const schema = Type.Object(directorySettings)
type Values = Readonly<Static<typeof schema>>

/** What the settings say together; undefined without a directory. Throws ConfigError naming every bad variable. */
export function readDirectory(values: Values): DirectoryConfig | undefined {
  const problems: string[] = []
  const groups = readGroups(values, problems)
  const { DIRECTORY_URL: url, DIRECTORY_BASE_DN: baseDn = '' } = values
  const { DIRECTORY_BIND_DN: dn, DIRECTORY_BIND_PASSWORD: password } = values
  for (const check of url === undefined ? [checkAbsent] : CHECKS) problems.push(...check(values))
  if (problems.length > 0) throw new ConfigError(problems)
  if (url === undefined) return undefined
  return {
    servers: url.split(',').map((one) => toServer(one.trim())),
    startTls: values.DIRECTORY_START_TLS,
    ca: values.DIRECTORY_CA,
    baseDn,
    service: dn === undefined || password === undefined ? undefined : { dn, password },
    userFilter: values.DIRECTORY_USER_FILTER,
    bindTemplate: values.DIRECTORY_BIND_TEMPLATE,
    groups,
    autoCreate: values.DIRECTORY_AUTO_CREATE,
    refreshSeconds: values.DIRECTORY_REFRESH_SECONDS,
  }
}

type Check = (values: Values) => readonly string[]

const checkAbsent: Check = (values) => {
  const isGiven = ([name, value]: [string, unknown]) =>
    name.startsWith('DIRECTORY_') && (typeof value === 'string' || value === true)
  const given = Object.entries(values).find(isGiven)
  return given === undefined ? [] : [`DIRECTORY_URL is required where ${given[0]} is set`]
}

const checkTransport: Check = (values) => {
  const plain = /(?:^|[,\s])ldap:/.test(values.DIRECTORY_URL ?? '')
  const { DIRECTORY_START_TLS: startTls, DIRECTORY_ALLOW_PLAINTEXT: allowed } = values
  if (startTls && !plain) return ['DIRECTORY_START_TLS is for ldap://: an ldaps:// URL has TLS already']
  if (startTls && allowed)
    return ['DIRECTORY_START_TLS and DIRECTORY_ALLOW_PLAINTEXT are both set: set one of them']
  if (!plain || startTls || allowed) return []
  return [
    'DIRECTORY_URL has ldap://, over which passwords travel readable: use ldaps://, or set DIRECTORY_START_TLS, or DIRECTORY_ALLOW_PLAINTEXT',
  ]
}

const checkBase: Check = ({ DIRECTORY_BASE_DN: base }) => {
  if (base === undefined) return ['DIRECTORY_BASE_DN is required where DIRECTORY_URL is set']
  return normaliseDn(base) === undefined ? ['DIRECTORY_BASE_DN is no distinguished name'] : []
}

const checkService: Check = (values) => {
  const { DIRECTORY_BIND_DN: dn, DIRECTORY_BIND_PASSWORD: password } = values
  if (dn !== undefined && password === undefined) {
    return ['DIRECTORY_BIND_PASSWORD is required where DIRECTORY_BIND_DN is set']
  }
  if (dn === undefined && password !== undefined) {
    return ['DIRECTORY_BIND_DN is required where DIRECTORY_BIND_PASSWORD is set']
  }
  if (dn !== undefined || values.DIRECTORY_BIND_TEMPLATE !== undefined) return []
  return ['DIRECTORY_BIND_DN is required, or DIRECTORY_BIND_TEMPLATE: somebody has to bind']
}

const checkTemplates: Check = ({ DIRECTORY_USER_FILTER: filter, DIRECTORY_BIND_TEMPLATE: template }) => [
  ...(filter === undefined || isFilter(filter)
    ? []
    : [`DIRECTORY_USER_FILTER must be a filter with ${PLACEHOLDER} in it (RFC 4515)`]),
  ...(template === undefined || isBindTemplate(template)
    ? []
    : [
        `DIRECTORY_BIND_TEMPLATE must be ${PLACEHOLDER} with @ and a domain behind it, or a distinguished name with ${PLACEHOLDER} in it`,
      ]),
]

const checkCertificates: Check = ({ DIRECTORY_CA: ca }) =>
  ca === undefined || hasCertificates(ca) ? [] : ['DIRECTORY_CA_FILE holds no certificates in PEM form']

const checkAutoCreate: Check = (values) =>
  values.DIRECTORY_AUTO_CREATE && values.DIRECTORY_GROUP_MAP === undefined
    ? ['DIRECTORY_GROUP_MAP_FILE is required where DIRECTORY_AUTO_CREATE is set: it says who gets an account']
    : []

const CHECKS = [checkTransport, checkBase, checkService, checkTemplates, checkCertificates, checkAutoCreate]

function readGroups(values: Values, problems: string[]): GroupMap | undefined {
  const { DIRECTORY_GROUP_MAP: text, DIRECTORY_BASE_DN: baseDn } = values
  if (text === undefined || baseDn === undefined || normaliseDn(baseDn) === undefined) return undefined
  const parsed = parseGroupMap(text, baseDn)
  if ('map' in parsed) return parsed.map
  problems.push(...parsed.faults.map((fault) => `DIRECTORY_GROUP_MAP_FILE ${fault}`))
  return undefined
}

function toServer(url: string): DirectoryServer {
  const { protocol, hostname, port } = new URL(url)
  const tls = protocol === 'ldaps:'
  const host = hostname.replaceAll(/[[\]]/g, '')
  return { url, host, port: Number(port || (tls ? 636 : 389)), tls }
}

function isFilter(template: string): boolean {
  if (!template.includes(PLACEHOLDER) || !template.startsWith('(')) return false
  // The parser does not mind one that is left open.
  if (template.split('(').length !== template.split(')').length) return false
  try {
    FilterParser.parseString(fillFilter(template, 'somebody'))
    return true
  } catch {
    return false
  }
}

function isBindTemplate(template: string): boolean {
  if (!isDnTemplate(template)) return /^\{username\}@[^\s{}]+$/.test(template)
  return template.includes(PLACEHOLDER) && normaliseDn(fillBindTemplate(template, 'somebody')) !== undefined
}

function hasCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? []
  try {
    return blocks.length > 0 && blocks.every((block) => new X509Certificate(block).subject !== undefined)
  } catch {
    return false
  }
}
