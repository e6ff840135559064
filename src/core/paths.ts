// Where the package's own files are. Works from src/ (tests) and from dist/ (production) alike,
// because both lie one folder below the package root.
import { fileURLToPath } from 'node:url';

export const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));
