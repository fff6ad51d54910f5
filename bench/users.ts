import type { Stack } from './stack.ts'
import { basicOf } from './stack.ts'

/** Creates a user with these namespaces. Returns the Authorization header with the user's password. */
export async function createUser(
  { authUrl, basic }: Stack,
  username: string,
  namespaces: readonly string[],
): Promise<string> {
  const password = `password-of-${username}`
  const response = await fetch(`${authUrl}/user`, {
    method: 'POST',
    headers: { authorization: basic, 'content-type': 'application/json' },
    body: JSON.stringify({ username, password, namespaces }),
  })
  if (response.status !== 201) throw new Error(`POST /user: ${response.status} ${await response.text()}`)
  return basicOf(username, password)
}
