/**
 * The file in three mustache templates, rendered with escaping off. They are in a module rather than in a file beside
 * it because `tsc` copies no other files. A service is rendered alone so that its text can be kept until it changes.
 */

/** View: `global`, `defaults` (lists of lines), `sections` (`title`, `lines`). */
export const headTemplate = `global
{{#global}}
	{{.}}
{{/global}}
defaults
{{#defaults}}
	{{.}}
{{/defaults}}
{{#sections}}

{{title}}
{{#lines}}
	{{.}}
{{/lines}}
{{/sections}}
`;

/** View: `service`, `frontend` (`suffix`, `lines`; absent without a port), `backend`, `lines`, `servers` (lines). */
export const serviceTemplate = `{{#frontend}}

frontend {{service}}{{suffix}}
{{#lines}}
	{{.}}
{{/lines}}
{{/frontend}}

backend {{backend}}
{{#lines}}
	{{.}}
{{/lines}}
{{#servers}}
	{{.}}
{{/servers}}
`;

/** View: `lines`. */
export const sharedFrontendTemplate = `
frontend shared-frontend
{{#lines}}
	{{.}}
{{/lines}}
`;
