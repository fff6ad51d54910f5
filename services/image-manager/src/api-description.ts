/** The general part of the OpenAPI document of the image management API. */
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
    { name: 'history', description: 'The history of tags, and restoring a tag to an earlier manifest.' },
    { name: 'trash', description: 'Deleted manifests and repositories, and restoring them.' },
    { name: 'immutable tags', description: 'Rules that prevent moves and deletions of tags.' },
    { name: 'retention', description: 'Rules that delete tags and manifests which are no longer needed.' },
    { name: 'pulls', description: 'Lists of tags and manifests with their numbers of pulls.' },
    { name: 'quotas', description: 'Quotas and usage of namespaces.' },
    { name: 'storage', description: 'Data that nothing references, and its removal.' },
    { name: 'greeting', description: 'The list of endpoints.' },
  ],
} as const
