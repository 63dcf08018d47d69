//! Messages on their way out, with their labels, and the stories they tell as far as their viewer may know.

use std::collections::HashMap;

use telesift_ports::story_catalog::{MemberPosition, StoryMember};
use telesift_schemas::{Generation, Message, MessageKey};

use crate::{
    auth::Viewer, cursor::Page, labels, problem::Result, reactions, state::App, view::MessageView,
};

impl App {
    fn live_stories(&self) -> Generation {
        self.generations.live().stories
    }

    /// Messages as `viewer` sees them: one question to the catalog for all stories, one for all labels.
    pub(crate) async fn show(
        &self,
        viewer: &Viewer,
        messages: Vec<Message>,
    ) -> Result<Vec<MessageView>> {
        let keys: Vec<MessageKey> = messages.iter().map(|m| m.id).collect();
        let stories = self
            .catalog
            .stories_of(self.live_stories(), &keys, viewer.visible_chats())
            .await?;
        let stories: HashMap<_, _> = stories.into_iter().collect();
        let shown = messages.into_iter().map(|message| {
            let story = stories.get(&message.id).cloned();
            MessageView::new(message, story)
        });
        let mut shown: Vec<MessageView> = shown.collect();
        labels::put_on(self, shown.iter_mut()).await?;
        reactions::put_on(self, shown.iter_mut()).await?;
        Ok(shown)
    }

    pub(crate) async fn show_one(&self, viewer: &Viewer, message: Message) -> Result<MessageView> {
        let story = self
            .catalog
            .stories_of(self.live_stories(), &[message.id], viewer.visible_chats())
            .await?
            .pop();
        let mut shown = MessageView::new(message, story.map(|(_, story)| story));
        labels::put_on(self, std::iter::once(&mut shown)).await?;
        reactions::put_on(self, std::iter::once(&mut shown)).await?;
        Ok(shown)
    }

    pub(crate) async fn show_page(
        &self,
        viewer: &Viewer,
        page: Page<Message>,
    ) -> Result<Page<MessageView>> {
        Ok(Page {
            items: self.show(viewer, page.items).await?,
            next_cursor: page.next_cursor,
        })
    }

    /// The messages of a story that `viewer` may see, oldest first.
    pub(crate) async fn story_members(
        &self,
        viewer: &Viewer,
        story: &str,
        after: Option<&MemberPosition>,
        limit: usize,
    ) -> Result<Vec<StoryMember>> {
        let chats = viewer.visible_chats();
        let of = self.live_stories();
        let members = self.catalog.story_members(of, story, chats, after, limit);
        Ok(members.await?)
    }
}
