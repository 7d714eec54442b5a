"""The chats: messages as trees in a database of their own, and the thread that keeps them."""
