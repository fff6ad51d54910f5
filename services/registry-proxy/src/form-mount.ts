import type { RegistryError, RegistryRequest } from '@registry-manager/oci'
import { parseMount } from '@registry-manager/oci'
import type { FastifyRequest } from 'fastify'
import { readBody } from './read-body.ts'

const MAX_FORM_BYTES = 16 * 1024

/**
 * Takes a mount from a form body too, where it wins over the query: so distribution reads it, and what the
 * registry would do is what must be decided on. A body too long for a form is no form, and neither is one that
 * waits for leave to come, which is given only after the decision: the query alone counts then, and the body is
 * never sent on. Answers what was wrong with the mount instead, if it is malformed.
 * Source: distribution 2.8, registry/handlers/blobupload.go, `r.FormValue`.
 */
export async function withFormMount(
  asked: RegistryRequest,
  request: FastifyRequest,
): Promise<RegistryRequest | { readonly refused: RegistryError }> {
  const isForm = request.headers['content-type']
    ?.toLowerCase()
    .startsWith('application/x-www-form-urlencoded')
  const isShort = Number(request.headers['content-length'] ?? Infinity) <= MAX_FORM_BYTES
  const isWaiting = request.headers.expect !== undefined
  if (asked.kind !== 'upload-start' || !isForm || !isShort || isWaiting) return asked
  const body = await readBody(request.raw, { maxBytes: MAX_FORM_BYTES })
  const form = new URLSearchParams(body?.toString('utf8'))
  for (const [name, value] of Object.entries(asked.mount ?? {})) {
    const parameter = name === 'digest' ? 'mount' : name
    if (!form.has(parameter)) form.set(parameter, value)
  }
  const mount = parseMount(form)
  return mount !== undefined && 'refused' in mount ? mount : { ...asked, mount }
}
