/** What the OpenAPI document says about the image management API as a whole. */
export const API_DESCRIPTION = {
  name: 'images',
  title: 'Image management API',
  description: `Lists, shares and deletes the images of the registry.

Clients send Basic credentials, or an access token as Bearer. An identity token, which is an access token that was
requested without a scope, has all rights of its account; every other token permits only what it grants.

A repository that a client may not see gets the same response as one that does not exist: 404. Errors are problems
(RFC 9457): \`detail\` says what was wrong, and \`field\` names the invalid field of a request.`,
  tags: [
    { name: 'repositories', description: 'Repositories with their tags and manifests.' },
    { name: 'greeting', description: 'The list of endpoints.' },
  ],
} as const
