import { isDeepStrictEqual } from 'node:util'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { badField, parseForms, ProblemError } from '@registry-manager/http'
import { credentialsOf } from '@registry-manager/principal'
import type { FastifyRequest, FastifySchema } from 'fastify'
import type { Static } from 'typebox'
import type { Account, ListedAccount } from '../principals/account.ts'
import type { ManageUsers, PasswordResult, UsersPage } from './manage-users.ts'
import { mergeFields } from './merge-fields.ts'
import type { UsersQuery } from './user-input.ts'
import type { ListedUser, User } from './users-schemas.ts'
import { USERS_SCHEMAS } from './users-schemas.ts'
import type { ManagementApiOptions } from '../sign-in/management-api.ts'
import { managementApi } from '../sign-in/management-api.ts'
import { onlyAdministrators, onlyInPerson, principalOf } from '../sign-in/require-principal.ts'

export interface UsersRoutesOptions extends ManagementApiOptions {
  readonly users: ManageUsers
}

/** Checked before the body is read. */
const ADMINISTRATORS_ONLY = { onRequest: async (request: FastifyRequest) => onlyAdministrators(request) }

/** The users API of seed 002. Requests give fields in the query, as a form or as JSON. */
export const usersRoutes: FastifyPluginAsyncTypebox<UsersRoutesOptions> = async (app, options) => {
  const { users } = options
  await managementApi(app, options)
  parseForms(app)
  const route = <Schema extends FastifySchema>(schema: Schema) => ({ schema, preValidation: mergeFields })
  const administrators = <Schema extends FastifySchema>(schema: Schema) => ({
    ...route(schema),
    ...ADMINISTRATORS_ONLY,
  })

  app.get('/user', route(USERS_SCHEMAS.find), async (request) => {
    const target = targetOf(request, request.query.username)
    return toBody((await users.find(target)) ?? notFound(target))
  })

  app.post('/user', administrators(USERS_SCHEMAS.create), async ({ body }, reply) => {
    const user = userOrProblem(await users.create(body), body.username)
    return reply
      .code(201)
      .header('location', `/user?username=${encodeURIComponent(user.username)}`)
      .send(user)
  })

  app.patch('/user', administrators(USERS_SCHEMAS.change), async (request) => {
    const { body } = request
    if (body.password !== undefined) onlyInPerson(request)
    return userOrProblem(await users.change(body.username, body), body.username)
  })

  app.delete('/user', administrators(USERS_SCHEMAS.delete), async ({ query }, reply) => {
    userOrProblem(await users.delete(query.username), query.username)
    return reply.code(204).send(null)
  })

  app.get('/users', administrators(USERS_SCHEMAS.list), async ({ query }, reply) => {
    const page = await users.list(query)
    reply.header('x-total-count', page.total)
    if (page.next !== undefined) reply.header('link', nextLink(page.next, query))
    return page.users.map(toListEntry)
  })

  app.post('/user/password', route(USERS_SCHEMAS.changePassword), async (request, reply) => {
    onlyInPerson(request)
    const { username, password, current_password } = request.body
    const target = targetOf(request, username)
    // Basic credentials have already proven the current password.
    const isProven = credentialsOf(request).kind === 'basic' && current_password === undefined
    const isOwn = typeof target !== 'string'
    const confirmation = { password: current_password, address: request.ip }
    userOrProblem(
      await users.changePassword(target, { password, ...(isOwn && !isProven && { confirmation }) }),
      target,
    )
    return reply.code(204).send(null)
  })

  app.post('/user/namespaces', administrators(USERS_SCHEMAS.changeNamespaces), async ({ body }) =>
    userOrProblem(await users.changeNamespaces(body.username, body.namespaces), body.username),
  )

  app.delete('/user/sessions', route(USERS_SCHEMAS.endSessions), async (request, reply) => {
    const target = targetOf(request, request.query.username)
    userOrProblem(await users.endSessions(target), target)
    return reply.code(204).send(null)
  })
}

/** An account, or a username. */
type Target = Pick<Account, 'id' | 'username'> | string

/** The account that a request is about: the principal's own, or any other one for a cluster administrator. */
function targetOf(request: FastifyRequest, username: string | undefined): Target {
  const principal = principalOf(request)
  if (username === undefined || username === principal.username) return principal
  onlyAdministrators(request)
  return username
}

function nextLink(next: NonNullable<UsersPage['next']>, { search, namespace }: UsersQuery): string {
  const given = Object.entries({ ...next, search, namespace }).filter(([, value]) => value !== undefined)
  return `</users?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}>; rel="next"`
}

function toBody(account: ListedAccount): Static<typeof User> {
  const { id, username, directory, provider, role, enabled, namespaces, createdAt } = account
  const admin = role === 'cluster-administrator'
  return {
    id,
    username,
    ad: directory,
    ...(provider !== undefined && { provider }),
    admin,
    role,
    enabled,
    namespaces: [...namespaces],
    created_at: createdAt,
  }
}

function toListEntry(account: ListedAccount): Static<typeof ListedUser> {
  const { role, enabled, namespaces, own } = account
  if (own === undefined || isDeepStrictEqual(own, { role, enabled, namespaces })) return toBody(account)
  return { ...toBody(account), own: { ...own, namespaces: [...own.namespaces] } }
}

function userOrProblem(result: PasswordResult, target: Target): Static<typeof User> {
  if ('user' in result) return toBody(result.user)
  if ('fault' in result) throw badField(result.fault)
  switch (result.refused) {
    case 'absent':
      return notFound(target)
    case 'taken':
      throw conflict('the username is taken', 'username')
    case 'last-administrator':
      throw conflict('this is the last cluster administrator; create another one first')
    case 'directory-password':
      throw conflict('the directory manages the password of this user; change it in the directory')
    case 'provider-password':
      throw conflict('this user signs in at an OpenID Connect provider and has no password here')
    case 'wrong-password': {
      const detail = 'current_password is not the password of this account'
      throw new ProblemError({ status: 403, detail, field: 'current_password' })
    }
  }
}

function notFound(target: Target): never {
  const username = typeof target === 'string' ? target : target.username
  throw new ProblemError({ status: 404, detail: `there is no user ${username}` })
}

function conflict(detail: string, field?: string): ProblemError {
  return new ProblemError({ status: 409, detail, field })
}
