/** Where nerve listens unless the configuration says otherwise. */
export const defaultListen = '127.0.0.1:3210';
