import type { RegistryRequest } from '@registry-manager/oci'
import { parseMount } from '@registry-manager/oci'
import { ProblemError } from '@registry-manager/service-kit'
import type { FastifyRequest } from 'fastify'
import { readWhole } from './read-whole.ts'

const MAX_FORM_BYTES = 16 * 1024

/**
 * Takes a mount from a form body too, where it wins over the query: so distribution reads it, and what the
 * registry would do is what must be decided on. A body too long for a form is no form.
 * Source: distribution 2.8, registry/handlers/blobupload.go, `r.FormValue`.
 */
export async function withFormMount(
  asked: RegistryRequest,
  request: FastifyRequest,
): Promise<RegistryRequest> {
  const isForm = request.headers['content-type']
    ?.toLowerCase()
    .startsWith('application/x-www-form-urlencoded')
  const isShort = Number(request.headers['content-length'] ?? Infinity) <= MAX_FORM_BYTES
  if (asked.kind !== 'upload-start' || !isForm || !isShort) return asked
  const body = await readWhole(request.raw, MAX_FORM_BYTES)
  const form = new URLSearchParams(body?.toString('utf8'))
  for (const [name, value] of Object.entries(asked.mount ?? {})) {
    const parameter = name === 'digest' ? 'mount' : name
    if (!form.has(parameter)) form.set(parameter, value)
  }
  const mount = parseMount(form)
  if (mount === undefined || !('refused' in mount)) return { ...asked, mount }
  const { code, detail } = mount.refused
  throw new ProblemError({ status: 400, detail: `${code}: ${String(detail)} in the form body` })
}
