import {
  neverStored,
  parseForms,
  parseJsonBodies,
  ProblemError,
  problemJson,
  queryOf,
  setErrorFormat,
} from '@registry-manager/http'
import { ROLES, credentialsOf } from '@registry-manager/principal'
import type { FieldFault, UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { Account, AccountRef } from '../principals/account.ts'
import type { ManageUsers, PasswordResult, UsersPage } from './manage-users.ts'
import type { UserField, UserInput } from './user-input.ts'
import { parseUserInput } from './user-input.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { onlyAdministrators, principalOf, requirePrincipal } from '../sign-in/require-principal.ts'

export interface UsersRoutesOptions extends PrincipalOptions {
  readonly users: ManageUsers
  readonly unavailableDependency: UnavailableDependency
}

const USER_FIELDS: readonly UserField[] = [
  'username',
  'ad',
  'password',
  'admin',
  'role',
  'enabled',
  'namespaces',
]

/** A user in responses. */
export const User = Type.Object({
  id: Type.String(),
  username: Type.String(),
  ad: Type.Boolean(),
  admin: Type.Boolean(),
  role: Type.Enum([...ROLES]),
  enabled: Type.Boolean(),
  namespaces: Type.Array(Type.String()),
  created_at: Type.Unsafe<Date>({ type: 'string', format: 'date-time' }),
})
const shown = { schema: { response: { 200: User } } }
const created = { schema: { response: { 201: User } } }
const listed = { schema: { response: { 200: Type.Array(User) } } }

/** The users API of seed 002. Requests give fields in the query, as a form or as JSON. */
export async function usersRoutes(app: FastifyInstance, options: UsersRoutesOptions): Promise<void> {
  const { users } = options
  setErrorFormat(app, problemJson, options.unavailableDependency)
  neverStored(app)
  await requirePrincipal(app, options)
  parseForms(app)
  parseJsonBodies(app)

  app.get('/user', shown, async (request) => {
    const { username } = inputOf(request, ['username'])
    return toBody((await users.find(targetOf(request, username))) ?? notFound())
  })

  app.post('/user', created, async (request, reply) => {
    onlyAdministrators(request)
    const user = userOrProblem(await users.create(inputOf(request, USER_FIELDS)))
    return reply
      .code(201)
      .header('location', `/user?username=${encodeURIComponent(user.username)}`)
      .send(user)
  })

  app.patch('/user', shown, async (request) => {
    onlyAdministrators(request)
    const input = inputOf(request, USER_FIELDS)
    return userOrProblem(await users.change(required(input, 'username'), input))
  })

  app.delete('/user', async (request, reply) => {
    onlyAdministrators(request)
    const input = inputOf(request, ['username'])
    userOrProblem(await users.delete(required(input, 'username')))
    return reply.code(204).send()
  })

  app.get('/users', listed, async (request, reply) => {
    onlyAdministrators(request)
    const input = inputOf(request, ['offset', 'limit', 'search', 'namespace'])
    const page = await users.list(input)
    reply.header('x-total-count', page.total)
    if (page.next !== undefined) reply.header('link', nextLink(page.next, input))
    return page.users.map(toBody)
  })

  app.post('/user/password', async (request, reply) => {
    const input = inputOf(request, ['username', 'password', 'current_password'])
    const password = required(input, 'password')
    const target = targetOf(request, input.username)
    // Basic credentials have proven the present password already.
    const isProven = credentialsOf(request).kind === 'basic' && input.current_password === undefined
    const isOwn = typeof target !== 'string'
    const confirmation = { password: input.current_password, address: request.ip }
    userOrProblem(
      await users.changePassword(target, { password, ...(isOwn && !isProven && { confirmation }) }),
    )
    return reply.code(204).send()
  })

  app.post('/user/namespaces', shown, async (request) => {
    onlyAdministrators(request)
    const input = inputOf(request, ['username', 'namespaces'])
    const namespaces = required(input, 'namespaces')
    return userOrProblem(await users.changeNamespaces(required(input, 'username'), namespaces))
  })

  app.delete('/user/sessions', async (request, reply) => {
    const { username } = inputOf(request, ['username'])
    userOrProblem(await users.endSessions(targetOf(request, username)))
    return reply.code(204).send()
  })
}

/** The account that a request is about: the principal's own, or any other one for a cluster administrator. */
function targetOf(request: FastifyRequest, username: string | undefined): AccountRef {
  const principal = principalOf(request)
  if (username === undefined || username === principal.username) return principal
  onlyAdministrators(request)
  return username
}

function nextLink(next: NonNullable<UsersPage['next']>, { search, namespace }: UserInput): string {
  const given = Object.entries({ ...next, search, namespace }).filter(([, value]) => value !== undefined)
  return `</users?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}>; rel="next"`
}

function toBody(account: Account): Static<typeof User> {
  const { id, username, directory, role, enabled, namespaces, createdAt } = account
  const admin = role === 'cluster-administrator'
  return {
    id,
    username,
    ad: directory,
    admin,
    role,
    enabled,
    namespaces: [...namespaces],
    created_at: createdAt,
  }
}

function userOrProblem(result: PasswordResult): Static<typeof User> {
  if ('user' in result) return toBody(result.user)
  if ('fault' in result) throw badField(result.fault)
  switch (result.refused) {
    case 'absent':
      return notFound()
    case 'taken':
      throw conflict('the username is taken', 'username')
    case 'last-administrator':
      throw conflict('this is the last cluster administrator; create another one first')
    case 'directory-password':
      throw conflict('the directory manages the password of this user; change it in the directory')
    case 'wrong-password': {
      const detail = 'current_password is not the password of this account'
      throw new ProblemError({ status: 403, detail, field: 'current_password' })
    }
  }
}

function inputOf(request: FastifyRequest, allowed: readonly UserField[]): UserInput {
  const { body } = request
  const fromBody = body instanceof URLSearchParams ? [...body] : Object.entries(asObject(body))
  const parsed = parseUserInput([queryOf(request.url), fromBody], allowed)
  if ('fault' in parsed) throw badField(parsed.fault)
  return parsed.input
}

function required<Field extends UserField>(input: UserInput, field: Field): NonNullable<UserInput[Field]> {
  const value = input[field]
  if (value === undefined) throw badField({ field, detail: 'is required' })
  return value
}

function asObject(body: unknown): object {
  if (body === undefined || body === null) return {}
  if (typeof body === 'object' && !Array.isArray(body)) return body
  throw new ProblemError({ status: 400, detail: 'the body must be a JSON object' })
}

function badField({ field, detail }: FieldFault): ProblemError {
  return new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
}

function notFound(): never {
  throw new ProblemError({ status: 404, detail: 'there is no such user' })
}

function conflict(detail: string, field?: string): ProblemError {
  return new ProblemError({ status: 409, detail, field })
}
