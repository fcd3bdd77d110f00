"""StreamGaze as users have it: tasks, questions, videos, fixations, official scoring."""
