import {
  RegistriesBody,
  RegistryTokenBody,
  RegistryTokensBody,
  parseConditions,
  toScopes,
} from '@registry-manager/auth-service/management'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import type { TokenEntry } from './access-file.ts'
import type { ManagementClient } from './management-client.ts'
import type { Change, Step } from './step.ts'

const PAGE = 1000

type PresentToken = Static<typeof RegistryTokenBody>

/** The registry tokens of the server: their path, and each by its name in lower case. */
export interface PresentTokens {
  readonly path: string
  readonly byName: ReadonlyMap<string, PresentToken>
}

/** Reads all registry tokens. For cluster administrators. */
export async function readRegistryTokens(client: ManagementClient): Promise<PresentTokens> {
  const { items } = await client.get('/containerregistries/registries', RegistriesBody)
  const path = `/containerregistries/registries/${items[0]?.id}/tokens`
  const byName = new Map<string, PresentToken>()
  for (let offset = 0; ; offset += PAGE) {
    const page = await client.get(`${path}?limit=${PAGE}&offset=${offset}`, RegistryTokensBody)
    for (const token of page.items) byName.set(token.properties.name.toLowerCase(), token)
    if (offset + PAGE >= page.total) return { path, byName }
  }
}

/** Plans the registry tokens of a file. A registry token that is not in the file stays as it is. */
export function planRegistryTokens(
  entries: ReadonlyMap<string, TokenEntry>,
  { path, byName }: PresentTokens,
): Step[] {
  return [...entries].flatMap(([name, entry]) => {
    const current = byName.get(name.toLowerCase())
    return current === undefined ? [newToken(path, name, entry)] : changedToken(path, name, entry, current)
  })
}

function newToken(path: string, name: string, entry: TokenEntry): Step {
  const fields = Object.entries(formOf(entry)).map(([field, text]) => `${field} ${text}`)
  return {
    title: `registry token ${name}`,
    path: ['registryTokens', name],
    changes: [{ sign: '+', text: ['new registry token', ...fields].join(', ') }],
    makesPassword: true,
    async run(client) {
      const body = await client.send('POST', path, { properties: { name, ...entry } })
      return Value.Parse(RegistryTokenBody, body).properties.credentials
    },
  }
}

function changedToken(path: string, name: string, entry: TokenEntry, current: PresentToken): Step[] {
  const present = formOf({ conditions: null, ...(current.properties as TokenEntry) })
  const changes = Object.entries(formOf(entry)).flatMap(([field, wanted]) => {
    if (present[field] === wanted) return []
    const change: Change = { sign: '~', text: `${field}: ${present[field]} → ${wanted}` }
    return [change]
  })
  if (changes.length === 0) return []
  return [
    {
      title: `registry token ${name}`,
      path: ['registryTokens', name],
      changes,
      async run(client) {
        await client.send('PATCH', `${path}/${current.id}`, entry)
      },
    },
  ]
}

/** The fields of a registry token as texts that are equal for equal values. */
function formOf({ expiryDate, scopes, status, conditions }: TokenEntry): Record<string, string> {
  const seconds = (time: string) => new Date(Math.floor(Date.parse(time) / 1000) * 1000)
  const texts = toScopes(scopes ?? []).map(({ name, actions }) => `${name} (${actions.join(', ')})`)
  return {
    ...(expiryDate !== undefined && {
      expiryDate: expiryDate === null ? 'never' : seconds(expiryDate).toISOString().replace('.000', ''),
    }),
    ...(scopes !== undefined && { scopes: texts.toSorted().join(' ') || 'none' }),
    ...(status !== undefined && { status }),
    ...(conditions !== undefined && { conditions: conditionsText(conditions) }),
  }
}

function conditionsText(given: TokenEntry['conditions']): string {
  const parsed = parseConditions(given ?? undefined)
  if ('fault' in parsed) throw new Error(`the conditions are invalid: ${parsed.fault.detail}`)
  const { conditions = {} } = parsed
  const sorted = Object.fromEntries(Object.entries(conditions).toSorted())
  return parsed.conditions === undefined ? 'none' : JSON.stringify(sorted)
}
