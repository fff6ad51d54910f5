import type { FastifyReply } from 'fastify'
import { bindUpload } from '../domain/upload-binding.ts'
import type { Carriage } from './carry.ts'

/**
 * What nginx asks with when it would carry a request itself. Whoever else does gets an answer of no use, and learns
 * nothing: it is their own token that is told them.
 */
export const DECIDE_ONLY = 'x-decide-only'

/**
 * Says what goes to the registry instead of sending it: a blob on its way down, or a part of one on its way up, is
 * carried by nginx, so that it neither passes through here nor ends with this process. Says nothing of all else, which
 * is to be carried here: there is more to it, or it needs a token that is ours.
 */
export function tellDecision(
  { asked, upstream, caller, token }: Carriage,
  isCallersToken: boolean,
  uploadSecret: string,
  reply: FastifyReply,
) {
  const isDownload = asked.kind === 'blob' && asked.method === 'GET'
  const isUpload = asked.kind === 'upload' && asked.method === 'PATCH'
  if (!isCallersToken || !(isDownload || isUpload)) return reply.code(204).send()
  const { path, query } = upstream
  reply.header('x-decided-uri', query === '' ? path : `${path}?${query}`)
  reply.header('x-decided-authorization', `Bearer ${token}`)
  if (isUpload) reply.header('x-decided-binding', bindUpload(uploadSecret, { ...asked, uid: caller.uid }))
  return reply.code(200).send()
}
