import { X509Certificate } from 'node:crypto'
import { ConfigError } from '@registry-manager/http'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { DirectoryServer } from './ldap/socket.ts'
import { PLACEHOLDER, fillBindTemplate, isDnTemplate, isFilterTemplate } from './ldap/filter.ts'
import { normaliseDn } from './distinguished-name.ts'
import type { GroupMap } from './group-map.ts'
import { parseGroupMap } from './group-map.ts'

const optional = (description: string) => Type.Optional(Type.String({ description }))
const flag = (description: string) => Type.Boolean({ default: false, description })

/** The settings of the directory. Like every setting, each can also be given as `NAME_FILE`. */
export const directorySettings = {
  DIRECTORY_URL: Type.Optional(
    Type.String({
      pattern: String.raw`^ldaps?://[^/?#@,\s]+/?(,\s*ldaps?://[^/?#@,\s]+/?)*$`,
      description:
        'comma-separated URLs of the servers, by preference, such as ldaps://dc1.example.com,ldaps://dc2.example.com',
    }),
  ),
  DIRECTORY_BASE_DN: optional('search base of users and mapped groups, such as DC=example,DC=com'),
  DIRECTORY_BIND_DN: optional('name of the service account that searches for users'),
  DIRECTORY_BIND_PASSWORD: optional('password of the service account'),
  DIRECTORY_CA: optional('trusted CA certificates of the directory servers, in PEM form'),
  DIRECTORY_START_TLS: flag('upgrade ldap:// connections to TLS (StartTLS)'),
  DIRECTORY_ALLOW_PLAINTEXT: flag('allow ldap:// without TLS, which sends passwords unencrypted'),
  DIRECTORY_USER_FILTER: optional('LDAP filter that finds a user, such as (uid={username})'),
  DIRECTORY_BIND_TEMPLATE: optional('name with which users bind, such as {username}@example.com'),
  DIRECTORY_GROUP_MAP: optional('roles and namespaces that groups give, as JSON'),
  DIRECTORY_AUTO_CREATE: flag('create accounts for members of mapped groups at their first sign-in'),
  DIRECTORY_REFRESH_SECONDS: Type.Integer({
    default: 300,
    minimum: 5,
    maximum: 86_400,
    description: 'seconds within which a change in the directory takes effect, 5 to 86400',
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

/** Undefined without a directory. Throws a ConfigError that names every bad variable. */
export function readDirectory(values: Values): DirectoryConfig | undefined {
  const faults: string[] = []
  const groups = readGroups(values, faults)
  const { DIRECTORY_URL: url, DIRECTORY_BASE_DN: baseDn = '' } = values
  const { DIRECTORY_BIND_DN: dn, DIRECTORY_BIND_PASSWORD: password } = values
  for (const check of url === undefined ? [checkAbsent] : CHECKS) faults.push(...check(values))
  if (faults.length > 0) throw new ConfigError(faults)
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
  return given === undefined ? [] : [`DIRECTORY_URL is required if ${given[0]} is set`]
}

const checkTransport: Check = (values) => {
  const plain = /(?:^|[,\s])ldap:/.test(values.DIRECTORY_URL ?? '')
  const { DIRECTORY_START_TLS: startTls, DIRECTORY_ALLOW_PLAINTEXT: allowed } = values
  if (startTls && !plain)
    return ['DIRECTORY_START_TLS requires an ldap:// URL: an ldaps:// URL uses TLS already']
  if (startTls && allowed)
    return ['DIRECTORY_START_TLS and DIRECTORY_ALLOW_PLAINTEXT are both set; set only one of them']
  if (!plain || startTls || allowed) return []
  return [
    'DIRECTORY_URL has an ldap:// URL, which sends passwords unencrypted: use ldaps://, ' +
      'or set DIRECTORY_START_TLS or DIRECTORY_ALLOW_PLAINTEXT',
  ]
}

const checkBase: Check = ({ DIRECTORY_BASE_DN: base }) => {
  if (base === undefined) return ['DIRECTORY_BASE_DN is required if DIRECTORY_URL is set']
  return normaliseDn(base) === undefined ? ['DIRECTORY_BASE_DN is not a distinguished name'] : []
}

const checkService: Check = (values) => {
  const { DIRECTORY_BIND_DN: dn, DIRECTORY_BIND_PASSWORD: password } = values
  if (dn !== undefined && password === undefined) {
    return ['DIRECTORY_BIND_PASSWORD is required if DIRECTORY_BIND_DN is set']
  }
  if (dn === undefined && password !== undefined) {
    return ['DIRECTORY_BIND_DN is required if DIRECTORY_BIND_PASSWORD is set']
  }
  if (dn !== undefined || values.DIRECTORY_BIND_TEMPLATE !== undefined) return []
  return ['set DIRECTORY_BIND_DN (a service account) or DIRECTORY_BIND_TEMPLATE (users bind directly)']
}

const checkTemplates: Check = ({ DIRECTORY_USER_FILTER: filter, DIRECTORY_BIND_TEMPLATE: template }) => [
  ...(filter === undefined || isFilterTemplate(filter)
    ? []
    : [`DIRECTORY_USER_FILTER must be an LDAP filter (RFC 4515) that contains ${PLACEHOLDER}`]),
  ...(template === undefined || isBindTemplate(template)
    ? []
    : [
        `DIRECTORY_BIND_TEMPLATE must be ${PLACEHOLDER}@DOMAIN, or a distinguished name that contains ${PLACEHOLDER}`,
      ]),
]

const checkCertificates: Check = ({ DIRECTORY_CA: ca }) =>
  ca === undefined || hasCertificates(ca) ? [] : ['DIRECTORY_CA_FILE contains no certificates in PEM form']

const checkAutoCreate: Check = (values) =>
  values.DIRECTORY_AUTO_CREATE && values.DIRECTORY_GROUP_MAP === undefined
    ? [
        'DIRECTORY_GROUP_MAP_FILE is required if DIRECTORY_AUTO_CREATE is set: members of its groups get accounts',
      ]
    : []

const CHECKS = [checkTransport, checkBase, checkService, checkTemplates, checkCertificates, checkAutoCreate]

function readGroups(values: Values, faults: string[]): GroupMap | undefined {
  const { DIRECTORY_GROUP_MAP: text, DIRECTORY_BASE_DN: baseDn } = values
  if (text === undefined || baseDn === undefined || normaliseDn(baseDn) === undefined) return undefined
  const parsed = parseGroupMap(text, baseDn)
  if ('map' in parsed) return parsed.map
  faults.push(...parsed.faults.map((fault) => `DIRECTORY_GROUP_MAP_FILE ${fault}`))
  return undefined
}

function toServer(url: string): DirectoryServer {
  const { protocol, hostname, port } = new URL(url)
  const tls = protocol === 'ldaps:'
  const host = hostname.replaceAll(/[[\]]/g, '')
  return { url, host, port: Number(port || (tls ? 636 : 389)), tls }
}

function isBindTemplate(template: string): boolean {
  if (!isDnTemplate(template)) return /^\{username\}@[^\s{}]+$/.test(template)
  return template.includes(PLACEHOLDER) && normaliseDn(fillBindTemplate(template, 'username')) !== undefined
}

/** Whether a string has certificates in PEM form, and no invalid one. */
export function hasCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs) ?? []
  try {
    return blocks.length > 0 && blocks.every((block) => new X509Certificate(block).subject !== undefined)
  } catch {
    return false
  }
}
