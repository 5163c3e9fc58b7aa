//! The interactive shell and one-shot commands.
