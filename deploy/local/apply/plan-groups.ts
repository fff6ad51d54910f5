import { Group, Member, toMapping, toMappingInput } from '@registry-manager/auth-service/management'
import type { Static } from 'typebox'
import type { GroupEntry } from './access-file.ts'
import type { ManagementClient } from './management-client.ts'
import type { Step } from './step.ts'
import { compareLists } from './step.ts'

/** The source of members that administrators added. */
const LOCAL = 'local'

type Mappings = Static<typeof Group>['mappings']

interface PresentGroup {
  readonly mappings: readonly string[]
  readonly members: readonly string[]
}

/** Plans the groups of a file. A list that a group of the file does not have stays as it is. */
export async function planGroups(
  entries: ReadonlyMap<string, GroupEntry>,
  client: ManagementClient,
): Promise<Step[]> {
  const steps: Step[] = []
  for (const [name, entry] of entries)
    steps.push(...planGroup(name, entry, await readGroup(client, name, entry)))
  return steps
}

async function readGroup(
  client: ManagementClient,
  name: string,
  { members }: GroupEntry,
): Promise<PresentGroup | undefined> {
  const group = await client.find(`/groups/${name}`, Group)
  if (group === undefined) return undefined
  const listed = members === undefined ? [] : await client.list(`/groups/${name}/members`, Member)
  const local = listed.filter(({ sources }) => sources.includes(LOCAL)).map(({ username }) => username)
  return { mappings: textsOf(group.mappings), members: local }
}

function planGroup(
  name: string,
  { mappings, members }: GroupEntry,
  present: PresentGroup | undefined,
): Step[] {
  const usernames = members?.map((username) => username.toLowerCase())
  const mappingChanges =
    mappings === undefined ? [] : compareLists(present?.mappings ?? [], textsOf(mappings))
  const memberChanges = usernames === undefined ? [] : compareLists(present?.members ?? [], usernames)
  const changes = [
    ...(present === undefined ? [{ sign: '+', text: 'new group' } as const] : []),
    ...mappingChanges.map(({ sign, text }) => ({ sign, text: `mapping ${text}` })),
    ...memberChanges.map(({ sign, text }) => ({ sign, text: `member ${text}` })),
  ]
  if (changes.length === 0) return []
  return [
    {
      title: `group ${name}`,
      path: ['groups', name],
      changes,
      async run(client) {
        if (present === undefined || mappingChanges.length > 0) {
          await client.send('PUT', `/groups/${name}`, { mappings: mappings ?? [] })
        }
        if (memberChanges.length === 0) return
        const items = usernames?.map((username) => ({ username }))
        await client.send('PUT', `/groups/${name}/members`, { items })
      },
    },
  ]
}

/** Mappings in the form in which the server shows them, as text. */
function textsOf(mappings: Mappings): string[] {
  return mappings.flatMap((given) => {
    const mapping = toMapping(given)
    return mapping === undefined ? [] : JSON.stringify(toMappingInput(mapping))
  })
}
