import { ProblemError } from '@registry-manager/http'
import type { FastifyRequest } from 'fastify'
import { authorize } from './authorize.ts'
import type { Repository } from '../index/repository.ts'
import { rightsOf } from './require-principal.ts'

/** A repository that the principal of a request may read. Throws a ProblemError otherwise. */
export async function requireReadable(
  findRepository: (name: string) => Promise<Repository | undefined>,
  request: FastifyRequest,
  name: string,
): Promise<Repository> {
  const repository = await findRepository(name)
  const verdict = authorize(rightsOf(request), 'get', name, repository?.scope)
  if (verdict === 'allowed' && repository !== undefined) return repository
  if (verdict !== 'insufficient')
    throw new ProblemError({ status: 404, detail: `there is no repository ${name} that you can see` })
  const detail = `this token does not have repository:${name}:pull; request a token with that scope`
  throw new ProblemError({ status: 403, detail })
}
