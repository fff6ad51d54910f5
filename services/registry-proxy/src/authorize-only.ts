import type { RegistryRequest } from '@registry-manager/oci'
import type { FastifyReply } from 'fastify'
import { bindUpload } from './upload-binding.ts'
import type { ForwardPlan } from './forward.ts'

/**
 * What nginx asks with when it would forward a request itself. Whoever else does gets an answer of no use, and learns
 * nothing: it is their own token that is told them.
 */
export const AUTHORIZE_ONLY = 'x-decide-only'

/**
 * Says what goes to the registry instead of sending it: a blob on its way down or up is carried by nginx, so that it
 * neither passes through here nor ends with this process. Says nothing of all else, which is to be carried here: there is
 * more to it, or it needs a token that is ours.
 */
export function answerAuthorizeOnly(
  { asked, upstream, principal, token }: ForwardPlan,
  isCallersToken: boolean,
  uploadSecret: string,
  reply: FastifyReply,
) {
  reply.header('cache-control', 'no-store')
  if (!isCallersToken || !isCarriedElsewhere(asked)) return reply.code(204).send()
  const { path, query } = upstream
  reply.header('x-decided-uri', query === '' ? path : `${path}?${query}`)
  reply.header('x-decided-authorization', `Bearer ${token}`)
  if (asked.kind === 'upload') {
    reply.header('x-decided-binding', bindUpload(uploadSecret, { ...asked, uid: principal.uid }))
  }
  return reply.code(200).send()
}

function isCarriedElsewhere(asked: RegistryRequest): boolean {
  if (asked.kind === 'blob') return asked.method === 'GET'
  if (asked.kind !== 'upload') return false
  // What is closed with another digest has an alias to be written down.
  return asked.method === 'PATCH' || (asked.method === 'PUT' && asked.digest?.startsWith('sha256:') === true)
}
