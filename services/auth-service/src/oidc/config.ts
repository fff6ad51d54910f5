import { readFileSync } from 'node:fs'
import { ConfigError, explainError } from '@registry-manager/http'
import type { Static } from 'typebox'
import { Type } from 'typebox'

/** The setting of the providers. Like every setting it can also be given as `OIDC_PROVIDERS_FILE`. */
export const oidcSettings = {
  OIDC_PROVIDERS: Type.Optional(
    Type.String({ description: 'OpenID Connect providers for single sign-on, as a JSON list' }),
  ),
}

/** An OpenID Connect provider at which people sign in. */
export interface OidcProvider {
  /** In URLs and in accounts: it must not change. */
  readonly id: string
  /** The text of the button on the sign-in page. */
  readonly label: string
  /** As the provider writes it in `iss`. */
  readonly issuer: string
  readonly clientId: string
  /** Absent for a public client. */
  readonly clientSecret?: string
  /** Besides `openid`. */
  readonly scopes: readonly string[]
  /** The claim that names a person's account. */
  readonly usernameClaim: string
  /**
   * The domain of the names that the claim has: the username is the part before `@`. A name of another domain is
   * refused.
   */
  readonly usernameDomain?: string
  /** The claim that lists a person's groups. */
  readonly groupsClaim?: string
  /** Whether the first sign-in creates an account: always, never, or for members of these groups. */
  readonly createAccounts: boolean | readonly string[]
  /** Trusted certificates of the provider in PEM form, instead of the public authorities. */
  readonly ca?: string
}

const schema = Type.Object(oidcSettings)

interface Field {
  readonly isRight: (value: unknown) => boolean
  /** Describes a valid value, for messages. */
  readonly rule: string
  readonly required?: true
}

const isShortString = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= 1000
const isShortStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isShortString)

const FIELDS: Readonly<Record<string, Field>> = {
  id: {
    isRight: (value) => isShortString(value) && /^[a-z][a-z0-9-]{0,31}$/.test(value),
    rule: 'must be 1 to 32 lower-case letters, digits or -, and begin with a letter',
    required: true,
  },
  label: { isRight: isShortString, rule: 'must be the text of the button, such as "Example Corp"' },
  issuer: {
    isRight: isIssuer,
    rule: 'must be an https:// URL without query, as the provider writes it in "iss" (http:// for loopback only)',
    required: true,
  },
  clientId: { isRight: isShortString, rule: 'must be the client id that the provider shows', required: true },
  clientSecret: { isRight: isShortString, rule: 'must be a string' },
  clientSecretFile: { isRight: isShortString, rule: 'must be the path of a file' },
  scopes: { isRight: isShortStrings, rule: 'must be a list of scopes, such as ["profile", "groups"]' },
  usernameClaim: {
    isRight: isShortString,
    rule: 'must be the name of a claim, such as "preferred_username"',
  },
  usernameDomain: { isRight: isShortString, rule: 'must be a domain, such as "example.com"' },
  groupsClaim: { isRight: isShortString, rule: 'must be the name of a claim, such as "groups"' },
  createAccounts: {
    isRight: (value) => typeof value === 'boolean' || isShortStrings(value),
    rule: 'must be true, false or a list of groups',
  },
  caFile: { isRight: isShortString, rule: 'must be the path of a file' },
}

/** The providers; none if the setting is absent. Throws a ConfigError that names every bad field. */
export function readOidcProviders({ OIDC_PROVIDERS: text }: Static<typeof schema>): readonly OidcProvider[] {
  if (text === undefined) return []
  const faults: string[] = []
  const providers = parseList(text, faults).map((given, at) => readProvider(given, `[${at}]`, faults))
  const ids = providers.map(({ id }) => id)
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) {
    faults.push(`has two providers with the id ${JSON.stringify(id)}`)
  }
  if (faults.length > 0) throw new ConfigError(faults.map((fault) => `OIDC_PROVIDERS_FILE ${fault}`))
  return providers
}

function parseList(text: string, faults: string[]): readonly unknown[] {
  try {
    const given: unknown = JSON.parse(text)
    if (Array.isArray(given) && given.length > 0) return given
    faults.push('must be a JSON list of at least one provider')
  } catch {
    faults.push('is not valid JSON')
  }
  return []
}

/** Adds the faults of a provider to `faults`. Use the returned provider only if there are none. */
function readProvider(given: unknown, place: string, faults: string[]): OidcProvider {
  const isObject = typeof given === 'object' && given !== null && !Array.isArray(given)
  if (!isObject) faults.push(`${place} must be an object`)
  const fields = (isObject ? given : {}) as Record<string, unknown>
  const fault = (name: string, what: string) => void faults.push(`${place}.${name} ${what}`)
  for (const name of Object.keys(fields)) {
    if (!Object.hasOwn(FIELDS, name)) fault(name, `is not known; known are ${Object.keys(FIELDS).join(', ')}`)
  }
  for (const [name, { isRight, rule, required }] of Object.entries(FIELDS)) {
    if (fields[name] === undefined) {
      if (required && isObject) fault(name, `is required: it ${rule}`)
    } else if (!isRight(fields[name])) fault(name, rule)
  }
  const { clientSecretFile, caFile, ...rest } = fields
  if (rest['clientSecret'] !== undefined && clientSecretFile !== undefined) {
    fault('clientSecretFile', 'and clientSecret are both set; set one of them')
  }
  if (Array.isArray(rest['createAccounts']) && rest['groupsClaim'] === undefined) {
    fault('createAccounts', 'lists groups, so groupsClaim is required')
  }
  const read = (name: string, file: unknown) =>
    isShortString(file) ? readFile(file, (what) => fault(name, what)) : undefined
  const clientSecret = read('clientSecretFile', clientSecretFile) ?? rest['clientSecret']
  const ca = read('caFile', caFile)
  const defaults = { label: rest['id'], scopes: ['profile'], usernameClaim: 'preferred_username' }
  return {
    ...defaults,
    createAccounts: false,
    ...rest,
    ...(clientSecret !== undefined && { clientSecret }),
    ...(ca !== undefined && { ca }),
  } as unknown as OidcProvider
}

function readFile(file: string, fault: (what: string) => void): string | undefined {
  try {
    const text = readFileSync(file, 'utf8').trimEnd()
    if (text === '') fault('names an empty file')
    return text
  } catch (error) {
    fault(`cannot be read: ${explainError(error)}`)
    return undefined
  }
}

/** OpenID Connect Discovery §2 requires https; http is for tests on the same machine. */
function isIssuer(value: unknown): boolean {
  const url = isShortString(value) ? URL.parse(value) : null
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') return false
  const isLoopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)
}
