import { type Fields, field } from '../../../common/command/shape.ts';

/** `synapse plan --json`. */
export const planShape: Fields = {
  fields: {
    sockets: field(
      {
        list: {
          fields: {
            socket: field('text', "HAProxy's runtime API"),
            version: field({ orNull: 'text' }, 'of HAProxy; null when it cannot be asked'),
            reason: field({ orNull: 'text' }, 'why it cannot be asked'),
            commands: field({ list: 'text' }, 'in order'),
            reload: field({ list: 'text' }, 'why a reload is needed; empty when the commands suffice'),
          },
        },
      },
      'one for each HAProxy',
    ),
    unanswered: field({ by: 'SERVICE', of: 'text' }, 'services whose source did not answer, and why'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that cannot be in HAProxy, and why'),
  },
};
