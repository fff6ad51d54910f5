import { ProblemError, parseJsonBodies, problemJson, setErrorFormat } from '@registry-manager/http'
import { credentialsOf } from '@registry-manager/principal'
import type { UnavailableDependency } from '@registry-manager/http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { UserFilter } from './accounts-repository.ts'
import type { Changed, UsersStore, Whom } from './manage-users.ts'
import type { Account } from './account.ts'
import { ROLES } from './account.ts'
import type { Enrol } from '../directory/enrolment.ts'
import type { UserChange } from './plan-user.ts'
import { planNewUser, planUserChange } from './plan-user.ts'
import type { FieldFault, UserField } from './user-input.ts'
import { parseUserInput } from './user-input.ts'
import type { PrincipalOptions } from '../sign-in/require-principal.ts'
import { principalOf, onlyAdministrators, requirePrincipal } from '../sign-in/require-principal.ts'
import { parseForms, queryOf } from '../access-tokens/form.ts'
import { accountOrProblem } from '../sign-in/sign-in-problem.ts'
import { neverStored } from '../sign-in/never-stored.ts'

export interface UsersRoutesOptions extends PrincipalOptions {
  readonly users: UsersStore
  readonly enrol: Enrol
  readonly unavailableDependency: UnavailableDependency
}

const MAX_PAGE = 50
const USER_FIELDS: readonly UserField[] = [
  'username',
  'ad',
  'password',
  'admin',
  'role',
  'enabled',
  'namespaces',
]

/** A user as the API shows it. What is not named here never gets out. */
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

/** The users API of seed 002. Fields come by query, form or JSON alike. */
export async function users(app: FastifyInstance, options: UsersRoutesOptions): Promise<void> {
  const { users: store } = options
  setErrorFormat(app, problemJson, options.unavailableDependency)
  neverStored(app)
  await requirePrincipal(app, options)
  parseForms(app)
  parseJsonBodies(app)

  /** Whom a request is about: the principal's own account, or whoever has a name where an administrator asks. */
  const target = (request: FastifyRequest, username: string | undefined): Whom => {
    const principal = principalOf(request)
    if (username === undefined || username === principal.username) return principal
    onlyAdministrators(request)
    return username
  }

  app.get('/user', shown, async (request) => {
    const { username } = inputOf(request, ['username'])
    return userOrProblem(await store.find(target(request, username)))
  })

  app.post('/user', created, async (request, reply) => {
    onlyAdministrators(request)
    const planned = planNewUser(inputOf(request, USER_FIELDS))
    if ('fault' in planned) throw badField(planned.fault)
    const { plan } = planned
    const user = changedOrProblem(await store.create({ ...plan, ...(await enrolled(plan.username, plan)) }))
    return reply
      .code(201)
      .header('location', `/user?username=${encodeURIComponent(user.username)}`)
      .send(user)
  })

  app.patch('/user', shown, async (request) => {
    onlyAdministrators(request)
    const input = inputOf(request, USER_FIELDS)
    const current = await existing(input.username ?? missing('username'))
    const planned = planUserChange(current, input)
    if ('fault' in planned) throw badField(planned.fault)
    const standing = await enrolled(current.username, planned.change)
    return changedOrProblem(await store.change(current, { ...planned.change, ...standing }))
  })

  app.delete('/user', async (request, reply) => {
    onlyAdministrators(request)
    const { username } = inputOf(request, ['username'])
    changedOrProblem(await store.delete(username ?? missing('username')))
    return reply.code(204).send()
  })

  app.get('/users', listed, async (request, reply) => {
    onlyAdministrators(request)
    const input = inputOf(request, ['offset', 'limit', 'search', 'namespace'])
    const { offset = 0, search, namespace } = input
    const limit = Math.min(input.limit ?? MAX_PAGE, MAX_PAGE)
    const filter = { search, namespace }
    const [page, total] = [await store.list(offset, limit, filter), await store.count(filter)]
    reply.header('x-total-count', total)
    if (offset + limit < total)
      reply.header('link', `</users?${nextPage(offset + limit, limit, filter)}>; rel="next"`)
    return page.map(toBody)
  })

  app.post('/user/password', async (request, reply) => {
    const input = inputOf(request, ['username', 'password', 'current_password'])
    const { username, password = missing('password') } = input
    const current = await existing(target(request, username))
    if (current.directory)
      throw conflict(`${current.username}'s password is the directory's: change it there`)
    const planned = planUserChange(current, { password })
    if ('fault' in planned) throw badField(planned.fault)
    if (current.id === principalOf(request).id) await confirm(request, current, input.current_password)
    changedOrProblem(await store.change(current, planned.change))
    return reply.code(204).send()
  })

  app.post('/user/namespaces', shown, async (request) => {
    onlyAdministrators(request)
    const { username, namespaces } = inputOf(request, ['username', 'namespaces'])
    const change = { namespaces: namespaces ?? missing('namespaces') }
    return changedOrProblem(await store.change(username ?? missing('username'), change))
  })

  app.delete('/user/sessions', async (request, reply) => {
    const { username } = inputOf(request, ['username'])
    changedOrProblem(await store.endSessions(target(request, username)))
    return reply.code(204).send()
  })

  /**
   * Makes sure that who changes their own password knows the old one. Basic credentials hold it already; a token that
   * was left somewhere must not be enough to take the account over. Source: OWASP ASVS 5.0, 6.2.3.
   */
  const confirm = async (request: FastifyRequest, account: Account, password: string | undefined) => {
    if (password === undefined && credentialsOf(request).kind === 'basic') return
    const given = password ?? missing('current_password')
    const found = await options.signIn.withPassword(account.username, given, request.ip)
    if (found.outcome === 'refused') {
      const detail = 'current_password is not the password of this account'
      throw new ProblemError({ status: 403, detail, field: 'current_password' })
    }
    accountOrProblem(found, options.realm)
  }

  /** What the directory says of somebody who is to be a directory user from now on. */
  const enrolled = async (username: string, { directory }: UserChange) => {
    if (!directory) return {}
    const found = await options.enrol(username)
    if ('fault' in found) throw badField(found.fault)
    return found
  }

  const existing = async (whom: Whom): Promise<Account> => (await store.find(whom)) ?? notThere()
}

function nextPage(offset: number, limit: number, filter: UserFilter): URLSearchParams {
  const given = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return new URLSearchParams([['offset', String(offset)], ['limit', String(limit)], ...given])
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

function userOrProblem(account: Account | undefined) {
  return toBody(account ?? notThere())
}

function changedOrProblem(changed: Changed) {
  if ('user' in changed) return toBody(changed.user)
  switch (changed.refused) {
    case 'absent':
      return notThere()
    case 'taken':
      throw conflict('the username is taken', 'username')
    case 'last-administrator':
      throw conflict('this is the last cluster administrator: make another one first')
  }
}

function inputOf(request: FastifyRequest, allowed: readonly UserField[]) {
  const { body } = request
  const fromBody = body instanceof URLSearchParams ? [...body] : Object.entries(asObject(body))
  const parsed = parseUserInput([queryOf(request.url), fromBody], allowed)
  if ('fault' in parsed) throw badField(parsed.fault)
  return parsed.input
}

function asObject(body: unknown): object {
  if (body === undefined || body === null) return {}
  if (typeof body === 'object' && !Array.isArray(body)) return body
  throw new ProblemError({ status: 400, detail: 'the body must be a JSON object' })
}

function badField({ field, detail }: FieldFault): ProblemError {
  return new ProblemError({ status: 400, detail: `${field} ${detail}`, field })
}

function missing(field: string): never {
  throw badField({ field, detail: 'is required' })
}

function notThere(): never {
  throw new ProblemError({ status: 404, detail: 'there is no such user' })
}

function conflict(detail: string, field?: string): ProblemError {
  return new ProblemError({ status: 409, detail, field })
}
