import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, ProblemError } from '@registry-manager/http'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { onlyAdministrators } from '../sign-in/require-principal.ts'
import type { Group } from './group.ts'
import { toMappingInput } from './group.ts'
import { GROUP_SCHEMAS as SCHEMAS } from './group-schemas.ts'
import type { ManageGroups } from './manage-groups.ts'
import { readPage } from './page.ts'

export interface GroupsRoutesOptions extends ManagementApiOptions {
  readonly manageGroups: ManageGroups
}

const GROUP = '/groups/:group'
const MEMBERS = `${GROUP}/members`
const MEMBER = `${MEMBERS}/:username`
/** A list of 10,000 members. */
const MAX_LIST_BYTES = 4 * 1024 * 1024

/** Groups and their members, for cluster administrators. */
export const groupsRoutes: FastifyPluginAsyncTypebox<GroupsRoutesOptions> = async (app, options) => {
  const { manageGroups } = options
  await managementApi(app, options)
  app.addHook('onRequest', async (request) => onlyAdministrators(request))

  app.get('/groups', { schema: SCHEMAS.list }, async ({ query }) => {
    const page = await readPage(query, manageGroups.list, ({ name }) => name)
    return { ...page, items: page.items.map(toBody) }
  })

  app.post('/groups', { schema: SCHEMAS.create }, async ({ body }, reply) => {
    const name = body.name.toLowerCase()
    const result = await manageGroups.create(name, body.mappings ?? [])
    if ('fault' in result) throw badField(result.fault)
    if ('refused' in result) {
      throw new ProblemError({ status: 409, detail: `there is a group ${name} already`, field: 'name' })
    }
    reply.header('location', `/groups/${encodeURIComponent(name)}`)
    return reply.code(201).send(toBody(result.group))
  })

  app.get(GROUP, { schema: SCHEMAS.get }, async ({ params }) => {
    const group = await manageGroups.find(params.group.toLowerCase())
    return toBody(group ?? noGroup(params.group))
  })

  app.put(GROUP, { schema: SCHEMAS.put }, async ({ params, body }, reply) => {
    const result = await manageGroups.put(params.group.toLowerCase(), body.mappings)
    if ('fault' in result) throw badField(result.fault)
    return reply.code(result.isNew ? 201 : 200).send(toBody(result.group))
  })

  app.delete(GROUP, { schema: SCHEMAS.delete }, async ({ params }, reply) => {
    if (!(await manageGroups.delete(params.group.toLowerCase()))) noGroup(params.group)
    return reply.code(204).send(null)
  })

  app.get(MEMBERS, { schema: SCHEMAS.listMembers }, async ({ params, query }) => {
    const group = params.group.toLowerCase()
    return readPage(
      query,
      async (page) => (await manageGroups.listMembers(group, page)) ?? noGroup(group),
      ({ username }) => username,
    )
  })

  app.put(
    MEMBERS,
    { schema: SCHEMAS.replaceMembers, bodyLimit: MAX_LIST_BYTES },
    async ({ params, body }) => {
      const usernames = body.items.map(({ username }) => username.toLowerCase())
      const result = await manageGroups.replaceMembers(params.group.toLowerCase(), usernames)
      if ('fault' in result) throw badField(result.fault)
      return 'refused' in result ? noGroup(params.group) : result
    },
  )

  app.put(MEMBER, { schema: SCHEMAS.addMember }, async ({ params }, reply) => {
    const { group, username } = params
    const outcome = await manageGroups.addMember(group.toLowerCase(), username.toLowerCase())
    if (outcome === 'no-group') noGroup(group)
    if (outcome === 'no-user') throw new ProblemError({ status: 404, detail: `there is no user ${username}` })
    return reply.code(204).send(null)
  })

  app.delete(MEMBER, { schema: SCHEMAS.removeMember }, async ({ params }, reply) => {
    const { group, username } = params
    const outcome = await manageGroups.removeMember(group.toLowerCase(), username.toLowerCase())
    if (outcome === 'no-group') noGroup(group)
    if (outcome === 'no-member') {
      throw new ProblemError({ status: 404, detail: `${username} is not a local member of ${group}` })
    }
    return reply.code(204).send(null)
  })
}

function toBody({ name, mappings, createdAt }: Group) {
  return { name, mappings: mappings.map(toMappingInput), createdAt }
}

function noGroup(name: string): never {
  throw new ProblemError({ status: 404, detail: `there is no group ${name}` })
}
