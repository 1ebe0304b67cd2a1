/** Version of the rule language and of what it means; a rule may ask for a range of it. */
export const ENGINE_VERSION = 1;
