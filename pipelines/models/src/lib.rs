//! Embedding models and, in time, LLM clients.
